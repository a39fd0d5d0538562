"""Treasury (申报入库): declarations, vouchers from issue to treasury, and the return of what arrived."""
