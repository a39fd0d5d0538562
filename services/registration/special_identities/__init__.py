"""Special identities (特殊群体身份): lines of verified subsidy lists imported or refused one by one."""
