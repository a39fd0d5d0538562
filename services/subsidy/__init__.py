"""Subsidy (资助): departments' lists, who is entitled, and the money finance pays for people."""
