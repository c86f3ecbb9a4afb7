package template

func expand(r *reader, s *stack, e *evaluator, root *node) {}
