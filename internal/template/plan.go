package template

func looksLikePlan(data []byte) bool { return false }

func (r *reader) plan(file string, data []byte, named bool) {}
