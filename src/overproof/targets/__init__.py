"""What the student is asked to match: one distribution per example."""

from overproof.targets.calibrated import Calibrated as Calibrated
from overproof.targets.given import Given as Given
from overproof.targets.hard import Hard as Hard
from overproof.targets.self_distilled import SelfDistilled as SelfDistilled
from overproof.targets.soft import Soft as Soft
from overproof.targets.top_candidates import TopCandidates as TopCandidates
