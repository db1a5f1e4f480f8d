"""Targets by name: the distribution the student is trained to match, one per example."""

from overproof.methods.targets.calibrated import Calibrated as Calibrated
from overproof.methods.targets.given import Given as Given
from overproof.methods.targets.hard import Hard as Hard
from overproof.methods.targets.powered import Powered as Powered
from overproof.methods.targets.rectified import Rectified as Rectified
from overproof.methods.targets.self_distilled import SelfDistilled as SelfDistilled
from overproof.methods.targets.soft import Soft as Soft
from overproof.methods.targets.top_candidates import TopCandidates as TopCandidates
