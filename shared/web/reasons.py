"""Why a file or a row of it was not taken, in words for the person who sent it (拒收原因): Chinese, then English.

The rule is what programs branch on; the words never hold anything of the file.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.kernel.errors import ProblemError, Refusal
from shared.web.problems import TITLES

REASONS: Mapping[str, tuple[str, str]] = {
    # of a whole file
    "ENCODING_UNKNOWN": (
        "文字编码无法识别，请存为 UTF-8 或 GBK",
        "Neither UTF-8 nor GB 18030: save the file in one of them",
    ),
    "HEADING_MISSING": ("第一行没有可识别的列名", "The first line holds no known column heading"),
    "HEADING_REPEATED": ("同一列名出现两次", "A column heading appears twice"),
    "XLSX_MALFORMED": ("不是可读取的 XLSX 文件，或已加密", "Not a readable XLSX file, or an encrypted one"),
    "XLSX_TOO_LARGE": (
        "电子表格过大，请改用 CSV 或 NDJSON",
        "Too large for a spreadsheet: send CSV or NDJSON",
    ),
    "TOO_MANY_ROWS": ("超过一百万行，请分批上传", "More than a million rows: send it in parts"),
    # of a row
    "NOT_A_JSON_OBJECT": ("本行不是一个 JSON 对象", "The line is no JSON object"),
    "ROW_TOO_LONG": ("本行过长", "The row is too long"),
    "CSV_MALFORMED": (
        "引号不成对，或单元格内有换行",
        "Quotation marks do not match, or a cell holds a line break",
    ),
    "TOO_MANY_CELLS": ("单元格多于列名", "More cells than headings"),
    "ID_STORED_AS_NUMBER": (
        "号码被存为数字，末位已丢失，请将该列设为文本后重新填写",
        "A number of an identity kept as a quantity has lost its last digits: format the column as text",
    ),
    "FORMULA_NOT_ALLOWED": ("单元格是公式，请粘贴为数值", "The cell is a formula: paste its value"),
    "MERGED_CELLS": (
        "单元格已合并，请取消合并并逐行填写",
        "The cell is merged: unmerge it and fill in every row",
    ),
    "FIELD_MISSING": ("缺少此项", "The field is missing"),
    "FIELD_UNKNOWN": ("有不认识的字段", "There is a field nobody knows"),
    "NOT_A_NUMBER": (
        "须为整数，不带逗号、小数和单位",
        "A whole number is wanted, without commas, decimals or unit",
    ),
    "NUMBER_TOO_LARGE": ("数字过大", "The number is too large"),
    "TEXT_TOO_LONG": ("文字过长", "The text is too long"),
    "CONTROL_CHARACTER": ("含有不可见的控制字符或换行", "There is a control character or a line break in it"),
    "NOT_A_DATE": ("须为日期，如 2020-01-31", "A date is wanted, such as 2020-01-31"),
    "DATE_OUT_OF_RANGE": ("日期须在 1900 至 2199 年之间", "A date between 1900 and 2199 is wanted"),
    "NOT_A_TEXT": ("须为文字", "A text is wanted"),
    "VALUE_NOT_ALLOWED": ("不是可选的值", "Not one of the values allowed"),
    "VALIDATION_FAILED": ("此项不符合要求", "The field is not valid"),
    "ROW_FAILED": ("本行处理失败，请联系运维", "The row could not be processed: ask the operator"),
}


def reason_of(code: str, rule: str = "") -> str:
    """``中文 / English`` for a refusal; empty when neither its rule nor its code has words."""
    words = REASONS.get(rule) or REASONS.get(code) or TITLES.get(code)
    return " / ".join(words) if words is not None else ""


def file_fault(code: str, rule: str) -> ProblemError:
    """The whole file is refused, with words."""
    return ProblemError(Refusal(code, rule=rule, message=reason_of(code, rule)))
