package pipeline

// What names a guard that this version does not enforce is never served open:
// it answers 403, is said in the log and counted.

func (e *exchange) guardName() *fault {
	if e.name.Refused != "" {
		return e.guardRefused(e.name.Refused, e.name.Host)
	}
	if e.name.API == "" && e.name.Search == nil && reservedPaths[e.x.RawPath] {
		return e.answerPing()
	}
	return nil
}

func (e *exchange) guardStage() *fault {
	if e.stage.Refused != "" {
		return e.guardRefused(e.stage.Refused, e.stage.API+"/"+e.stage.Name)
	}
	return nil
}

func (e *exchange) guardMethod() *fault {
	if e.method.Refused != "" {
		return e.guardRefused(e.method.Refused, e.stage.API+"/"+e.stage.Name+" "+e.method.HTTPMethod+" "+e.method.ResourcePath)
	}
	return nil
}

func (e *exchange) guardRefused(guard, subject string) *fault {
	var api, stage string
	if e.stage != nil {
		api, stage = e.stage.API, e.stage.Name
	}
	e.p.options.Metrics.GuardRefused(api, stage)
	e.p.log.warn("request refused: a guard on it is not enforced by this version", subject+guard,
		"subject", subject, "guard", guard, "request_id", e.requestID)
	return newFault(forbidden, "guard not enforced: "+guard)
}
