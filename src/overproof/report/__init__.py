"""Self-contained HTML pages of a finished run, a comparison or an assessment, written from the files of a run.

May import `runs`, `assessment`, `evaluation`, `deployment` and every other folder below; only `commands` and `api`
import it.
"""

from overproof.report.assess_report import assessment_page as assessment_page
from overproof.report.compare_report import comparison_page as comparison_page
from overproof.report.compare_report import write_comparison_report as write_comparison_report
from overproof.report.page import Section as Section
from overproof.report.page import page as page
from overproof.report.run_report import write_report as write_report
from overproof.report.sentence import verdict_sentence as verdict_sentence
