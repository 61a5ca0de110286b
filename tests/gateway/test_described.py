"""The description proved: requests made from it, right and wrong, are answered as it says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS

from mm.gateway.openapi import openapi_document
from mm.market import default_config
from tests.gateway.served import CLIENT, Served

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.xdist_group("gateway")]

#: The streams do not end: what they answer is tested by hand.
DESCRIBED = schemathesis.openapi.from_dict(openapi_document()).exclude(
    operation_id=["live", "reports"]
)
#: Requests of each operation; the same ones in each run.
EXAMPLES = 30
#: What is checked of each answer.
WANTED = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "negative_data_rejection",
    "missing_required_header", "unsupported_method",
}  # fmt: skip
SYMBOLS = [one.name for one in default_config().symbols]


class Answers:
    """How often each status was answered to each operation, and what makes requests succeed."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)

    def known(self, case: Case[Any]) -> None:
        """Give every second right request what no description can have: names that are known."""
        name = case.operation.definition.raw["operationId"]
        number = self.statuses[name].total()
        right = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
        if not right or number % 2:
            return
        symbol, body = SYMBOLS[number // 2 % len(SYMBOLS)], cast("dict[str, Any]", case.body)
        if name == "order":
            # Of three orders two have one id, and each has another content.
            order_id = "described" if number % 3 else body["order_id"]
            body |= {"symbol": symbol, "client_id": CLIENT, "order_id": order_id}
            body |= {"quantity": "1000", "limit_price": f"{number + 1}"}
        elif name in ("halt", "resume") and body.get("symbols"):
            body |= {"symbols": [symbol], "why": "a test"}
        elif name == "begin":
            case.headers["Origin"] = self.served.url
            body |= {"token": self.served.token("viewer")}

    def prove(self, case: Case[Any]) -> None:
        """One request gets an answer that the description has: status, type, headers and shape."""
        self.known(case)
        token = self.served.token("operator")
        headers = {"Authorization": f"Bearer {token}"}
        answer = case.call(base_url=self.served.url, headers=headers)
        self.statuses[case.operation.definition.raw["operationId"]][answer.status_code] += 1
        every: Any = CHECKS
        case.validate_response(
            answer, checks=[one for one in every.get_all() if one.__name__ in WANTED]
        )


@pytest.fixture
def answers(served: Served) -> Iterator[Answers]:
    """The answers to one operation, of which at its end one at least was a success."""
    found = Answers(served)
    yield found
    for name, statuses in found.statuses.items():
        assert any(200 <= one < 300 for one in statuses), (name, statuses)
        assert name != "order" or statuses[409], statuses


@DESCRIBED.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_requests_from_the_description(case: Case[Any], answers: Answers) -> None:
    """No request that can be made from the description is answered in another way."""
    answers.prove(case)
