package dapr

// foreignOwner knows of none: folders here have no such owners.
func foreignOwner(string) (uid int, foreign bool) { return 0, false }
