"""Who paid last year (缴费历史): loaded from a file, or booked and kept by this very system (D-12)."""
