"""What the quote rule earns from informed and noise senders, measured on the system itself."""

from mm.lab.flow.show import flow_facts, flow_table
from mm.lab.flow.study import Earned, FlowStudy, earned, run_study

__all__ = [
    "Earned",
    "FlowStudy",
    "earned",
    "flow_facts",
    "flow_table",
    "run_study",
]
