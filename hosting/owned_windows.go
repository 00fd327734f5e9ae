package hosting

// owned finds nothing to object to: who may write is not in the mode of a folder.
func owned(string) error { return nil }
