package posture

// A Collection is what a source found to judge, and what it could not read.
type Collection struct {
	Resources []*Resource
	Problems  []Problem
}

// A Problem is something that a source could not read, so that what is there is
// not judged: a denied call, a broken file. It is a line of the report, never a
// verdict.
type Problem struct {
	Where string `json:"where"` // FILE:LINE, or REGION SERVICE:Operation
	Text  string `json:"text"`
}

// Add appends what another source found.
func (c *Collection) Add(other *Collection) {
	c.Resources = append(c.Resources, other.Resources...)
	c.Problems = append(c.Problems, other.Problems...)
}
