"""Progress (征缴进度): live figures per village and insurance, and weekly bulletins per town."""
