"""基金账户 fund accounts: where a plan without a treasury keeps the money, and the documents it is booked from."""
