"""What the student is asked to match: one distribution per example."""

from overproof.targets.calibrated import Calibrated as Calibrated
from overproof.targets.given import Given as Given
from overproof.targets.hard import Hard as Hard
from overproof.targets.soft import Soft as Soft
