// Package telemetry is what the gateway says about itself: access logs in the
// stage's own format, the groups of execution logs, the connection log, the
// process log and metrics.
//
// It promises that nothing here blocks or stops a request: writers have bounded
// buffers, a full disk drops lines, and drops are counted and said. A record is
// one line whatever the input holds.
//
//	groups, err := telemetry.OpenGroups(dir+"/logs", telemetry.GroupOptions{Log: log, Metrics: m})
//	line = format.Append(line[:0], values)   // no allocation
//	groups.Group("/aws/apigateway/x").Write(line)
package telemetry
