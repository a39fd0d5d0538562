"""RFC 9457 problems (错误答复): one stable code each, field and rule, never the value.

``type`` is ``urn:liangxian:problem:<code>``; ``instance`` the correlation id an operator searches logs for.
Codes without a line in ``STATUS`` are refusals of a decision: 422.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.observability.logging import current_correlation

MEDIA_TYPE = "application/problem+json"
DEFAULT_STATUS = 422

STATUS: dict[str, int] = {
    "IDEMPOTENCY_KEY_MISSING": 400,
    "IDEMPOTENCY_KEY_TOO_LONG": 400,
    "BODY_MALFORMED": 400,
    "HEADER_INVALID": 400,
    "CURSOR_INVALID": 400,
    "UNAUTHENTICATED": 401,
    "INSUFFICIENT_SCOPE": 403,
    "DIVISION_FORBIDDEN": 403,
    "ORGANISATION_FORBIDDEN": 403,
    "REHEARSAL_ONLY": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "DEAD_LETTER_NOT_FOUND": 404,
    "DEAD_LETTER_NOT_REPLAYABLE": 409,
    "DEAD_LETTER_STILL_WAITS": 409,
    "IDEMPOTENCY_KEY_IN_USE": 409,
    "IDENTITY_TAKEN": 409,
    "NO_CAMPAIGN": 409,
    "ORDER_NO_TAKEN": 409,
    "PACK_MISMATCH": 409,
    "RECEIPT_USED": 409,
    "ROSTER_NOTICE_OPEN": 409,
    "VOUCHER_STATE": 409,
    "ALREADY_PAID": 409,
    "PERSON_DECEASED": 409,
    "NOT_ON_ROSTER": 409,
    "OUTSIDE_WINDOW": 409,
    "CONCURRENT_CHANGE": 409,
    "ALREADY_EXISTS": 409,
    "ALREADY_ENROLLED": 409,
    "INVALID_STATE": 409,
    "RECEIPT_VOIDED": 409,
    "FILE_NO_TAKEN": 409,
    "SLIP_TAKEN": 409,
    "ALREADY_IDENTIFIED": 409,
    "BODY_TOO_LARGE": 413,
    "MEDIA_TYPE_UNSUPPORTED": 415,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "AMOUNT_NOT_ASSESSED": 422,
    "CHANNEL_NOT_ALLOWED": 422,
    "POLICY_UNSPECIFIED": 422,
    "VALIDATION_FAILED": 422,
    "INTERNAL_ERROR": 500,
    "OVERLOADED": 503,
    "POSITION_NOT_REACHED": 503,
    "NOT_READY": 503,
}

TITLES: dict[str, tuple[str, str]] = {
    "PACK_MISMATCH": ("政策包与征缴工作不一致", "The policy pack is not the campaign's"),
    "ID_SEX_MISMATCH": ("性别与公民身份号码不符", "Sex and number disagree"),
    "ID_BIRTH_MISMATCH": ("出生日期与公民身份号码不符", "Birth date and number disagree"),
    "ID_CHECK_CHARACTER": ("公民身份号码校验码不符", "The check character does not match"),
    "ID_BIRTH_DATE": ("公民身份号码出生日期无效", "The identity number holds no birth date"),
    "ID_DIGITS": ("公民身份号码含非法字符", "The identity number has a wrong character"),
    "ID_LENGTH": ("公民身份号码位数不对", "The identity number has a wrong length"),
    "IDENTITY_REQUIRED": ("缺少身份证明", "A number or a birth certificate is required"),
    "IDENTITY_TAKEN": ("该身份已登记", "The identity is registered already"),
    "AGE_OVER_MAX": ("超过参保年龄", "Above the age of participation"),
    "AGE_UNDER_16": ("未满十六周岁", "Under 16 years of age"),
    "ALREADY_ENROLLED": ("本年度该险种已参保登记", "Already enrolled for this insurance and year"),
    "ALREADY_EXISTS": ("已存在", "Already exists"),
    "ALREADY_PAID": ("本年度该险种已缴费", "Already paid for this insurance and year"),
    "AMOUNT_NOT_ASSESSED": ("金额与核定应缴不符", "The amount is not the one assessed"),
    "BODY_MALFORMED": ("请求内容无法解析", "The body cannot be parsed"),
    "BODY_TOO_LARGE": ("请求内容过大", "The body is too large"),
    "CHANNEL_NOT_ALLOWED": ("该渠道不可办理", "The channel is not allowed"),
    "CONCURRENT_CHANGE": ("同时有其他变更，请重试", "Changed by others at the same time; retry"),
    "CURSOR_INVALID": ("分页游标无效", "The cursor is not one we gave out"),
    "DEAD_LETTER_NOT_FOUND": ("没有这条死信", "No such dead letter"),
    "DEAD_LETTER_NOT_REPLAYABLE": ("本进程不能重放", "This process cannot replay it"),
    "DEAD_LETTER_STILL_WAITS": ("所等待的事实仍未到达", "What it waits for has not arrived"),
    "DIVISION_FORBIDDEN": ("无权办理该区划业务", "Not allowed in this division"),
    "EMPLOYEE_INSURED": ("已参加职工保险", "Insured as an employee"),
    "HEADER_INVALID": ("请求头无效", "A header is invalid"),
    "HUKOU": ("不符合户籍条件", "Household registration does not qualify"),
    "IDEMPOTENCY_KEY_IN_USE": ("该幂等键正在处理中", "The idempotency key is in use"),
    "IDEMPOTENCY_KEY_MISSING": ("缺少幂等键", "The Idempotency-Key header is required"),
    "IDEMPOTENCY_KEY_REUSED": ("幂等键已用于不同内容", "The idempotency key was used for another body"),
    "IDEMPOTENCY_KEY_TOO_LONG": ("幂等键超过长度", "The idempotency key is too long"),
    "INSUFFICIENT_SCOPE": ("令牌权限不足", "The token lacks the scope"),
    "INTERNAL_ERROR": ("系统内部错误", "Internal error"),
    "INVALID_STATE": ("当前状态不允许该操作", "Not possible in the current state"),
    "MEDIA_TYPE_UNSUPPORTED": ("不支持的内容类型", "Unsupported media type"),
    "METHOD_NOT_ALLOWED": ("不支持的方法", "Method not allowed"),
    "NOT_FOUND": ("未找到", "Not found"),
    "NOT_ON_ROSTER": ("不在代收花名册中", "Not on the collection roster"),
    "NOT_READY": ("服务尚未就绪", "The service is not ready"),
    "ORGANISATION_FORBIDDEN": ("属于其他机构", "Belongs to another organisation"),
    "OUTSIDE_WINDOW": ("不在缴费期内", "Outside the collection window"),
    "OVERLOADED": ("系统繁忙，请稍后重试", "Overloaded; retry later"),
    "PAID_ELSEWHERE": ("已在其他地区缴费", "Paid in another region"),
    "PERSON_DECEASED": ("人员已死亡", "The person is deceased"),
    "POLICY_UNSPECIFIED": ("政策未规定", "The policy pack does not specify this"),
    "POSITION_NOT_REACHED": ("读模型尚未追上，请重试", "The read model has not caught up; retry"),
    "REHEARSAL_ONLY": ("仅演练环境可用", "Only in a rehearsal"),
    "STUDENT": ("在校学生不参加该险种", "Students do not take part"),
    "TIER_NOT_ALLOWED": ("缴费档次不可选", "The tier is not allowed"),
    "UNAUTHENTICATED": ("未提供有效令牌", "No valid bearer token"),
    "ORDER_NO_TAKEN": ("订单号已使用", "The order number is taken"),
    "RECEIPT_USED": ("收据已使用", "The receipt was used"),
    "RECEIPT_VOIDED": ("收据已作废", "The receipt is void"),
    "RECEIPT_REQUIRED": ("须开具收据", "A receipt is required"),
    "ROSTER_NOTICE_OPEN": ("清册公示未结束", "The roster's notice is still open"),
    "VOUCHER_STATE": ("税票状态不符", "The voucher is not in that state"),
    "FILE_NO_TAKEN": ("文件号已使用", "The file number is taken"),
    "SLIP_TAKEN": ("缴款回单已使用", "The deposit slip is taken"),
    "TOTALS_MISMATCH": ("合计不符", "Totals do not agree"),
    "AMOUNT_MISMATCH": ("金额不符", "The amount does not agree"),
    "REFUND_NOT_DUE": ("不符合退费条件", "No refund is due"),
    "AGENT_UNKNOWN": ("没有此代办员", "No such agent"),
    "VALIDATION_FAILED": ("请求内容不符合要求", "The request is not valid"),
}
_FALLBACK_TITLE = ("业务规则不允许", "Refused by a rule")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a problem."""

    type: str
    title: str
    status: int
    code: str
    rule: str = ""
    clause: str = ""
    field: str = ""
    detail: str = ""
    instance: str = ""


def status_of(refusal: Refusal) -> int:
    """HTTP status of a refusal."""
    return STATUS.get(refusal.code, DEFAULT_STATUS)


def problem_of(refusal: Refusal, instance: str = "", status: int | None = None) -> Problem:
    """The problem of a refusal; ``instance`` is the correlation id."""
    chinese, english = TITLES.get(refusal.code, _FALLBACK_TITLE)
    return Problem(
        type=f"urn:liangxian:problem:{refusal.code}",
        title=f"{chinese} / {english}",
        status=status if status is not None else status_of(refusal),
        code=refusal.code,
        rule=refusal.rule,
        clause=refusal.clause,
        field=refusal.field,
        detail=refusal.message,
        instance=instance,
    )


def problem_response(
    refusal: Refusal, instance: str = "", status: int | None = None, retry_after: int | None = None
) -> Response:
    """A refusal as an HTTP answer; 503 always says when to come back, 401 how to authenticate.

    instance: the request's correlation id; taken from the context of the task when empty.
    """
    problem = problem_of(refusal, instance or current_correlation(), status)
    headers: dict[str, str] = {}
    if retry_after is not None or problem.status == 503:
        headers["Retry-After"] = str(retry_after if retry_after is not None else 1)
    if problem.status == 401:
        error = ', error="invalid_token"' if refusal.rule not in ("", "TOKEN_MISSING") else ""
        headers["WWW-Authenticate"] = f'Bearer realm="liangxian"{error}'
    return Response(msgspec.json.encode(problem), problem.status, headers, MEDIA_TYPE)


def overloaded(error: OverloadedError) -> ProblemError:
    """A full queue as a problem: 503 and Retry-After in seconds."""
    return ProblemError(Refusal("OVERLOADED"), 503, error.retry_after)
