"""Examples with stable ids: reading files and arrays, checking classes, drawing roles, finding duplicates.

Imports what is below it (`synthetic`, `registry`, `storage`, `functional`, `contract`, `errors`); never `models`,
`teachers` or anything that trains.
"""

from overproof.data.classes import aligned as aligned
from overproof.data.classes import check_classes as check_classes
from overproof.data.classes import class_space as class_space
from overproof.data.examples import Examples as Examples
from overproof.data.examples import concatenate as concatenate
from overproof.data.examples import from_arrays as from_arrays
from overproof.data.labelled.remarks import remarks_on_copies as remarks_on_copies
from overproof.data.labelled.remarks import remarks_on_groups as remarks_on_groups
from overproof.data.labelled.remarks import remarks_on_labels as remarks_on_labels
from overproof.data.on_disk import num_bytes as num_bytes
from overproof.data.on_disk import read_on_disk as read_on_disk
from overproof.data.preview import Preview as Preview
from overproof.data.preview import check_one_kind as check_one_kind
from overproof.data.preview import first_rows as first_rows
from overproof.data.preview import preview as preview
from overproof.data.read import pieces as pieces
from overproof.data.read import read as read
from overproof.data.repeats import group_words as group_words
from overproof.data.repeats import grouped as grouped
from overproof.data.repeats import repeats_in as repeats_in
from overproof.data.repeats import with_joined_groups as with_joined_groups
from overproof.data.source import ImageOptions as ImageOptions
from overproof.data.source import Kind as Kind
from overproof.data.source import Source as Source
from overproof.data.splits import beyond_groups as beyond_groups
from overproof.data.splits import by_content as by_content
from overproof.data.splits import duplicates as duplicates
from overproof.data.splits import num_distinct as num_distinct
from overproof.data.splits import split as split
