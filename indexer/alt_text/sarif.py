"""Findings as SARIF 2.1.0, which code-review tools show beside the lines: https://docs.oasis-open.org/sarif/sarif/v2.1.0/"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from indexer.alt_text.checking import Finding, Report
from indexer.alt_text.judging import TOLD, Rule


def sarif(report: Report) -> dict[str, Any]:
    """Return the log of one run. Paths are as they were given, relative ones to the folder that the run was in."""
    rules = list(Rule)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "snapseek alt-text",
                        "version": version("snapseek"),
                        "rules": [
                            {
                                "id": str(rule),
                                "shortDescription": {"text": TOLD[rule]},
                                "defaultConfiguration": {"level": "error" if rule.is_error else "warning"},
                            }
                            for rule in rules
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, rules) for one in report.findings if not one.is_written],
                "invocations": [
                    {
                        "executionSuccessful": not report.rejected,
                        "toolExecutionNotifications": [
                            {"level": "error", "message": {"text": f"{one.path}: {one.reason}"}}
                            for one in report.rejected
                        ],
                    }
                ],
            }
        ],
    }


def _uri(path: Path) -> str:
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _result(finding: Finding, rules: list[Rule]) -> dict[str, Any]:
    text = str(finding).partition(": ")[2].partition(": ")[2]
    return {
        "ruleId": str(finding.rule),
        "ruleIndex": rules.index(finding.rule),
        "level": "error" if finding.rule.is_error else "warning",
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": {"startLine": finding.line, "startColumn": finding.column},
                }
            }
        ],
    }
