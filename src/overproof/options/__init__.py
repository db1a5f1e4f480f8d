"""Options of experiments and of parts: ranges, checks, and the error messages for values that are not allowed."""

from overproof.options.annotations import group_of as group_of
from overproof.options.annotations import hint_at as hint_at
from overproof.options.file_names import check_file_name as check_file_name
from overproof.options.groups import Options as Options
from overproof.options.groups import validated as validated
from overproof.options.misread import misread as misread
from overproof.options.misread import shown as shown
from overproof.options.parts import checked as checked
from overproof.options.parts import checked_value as checked_value
from overproof.options.parts import plain_options as plain_options
from overproof.options.ranges import Budget as Budget
from overproof.options.ranges import Count as Count
from overproof.options.ranges import Finite as Finite
from overproof.options.ranges import InnerShare as InnerShare
from overproof.options.ranges import NotNegative as NotNegative
from overproof.options.ranges import Positive as Positive
from overproof.options.ranges import PositiveShare as PositiveShare
from overproof.options.ranges import Seed as Seed
from overproof.options.ranges import SeedList as SeedList
from overproof.options.ranges import Share as Share
from overproof.options.ranges import allowed as allowed
from overproof.options.ranges import listed_seeds as listed_seeds
