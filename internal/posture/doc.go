// Package posture is the auditor's core: it judges resources, documents of the
// AWS SDK's own types, by controls. It knows no service, no source and no
// form of output: controls live in package controls, one file each, and
// whoever has resources, from this gateway, an account or a template, hands
// them in as [Resource] values.
//
// The usual call:
//
//	report, err := posture.Evaluate(controls.All, resources, posture.Options{Now: time.Now()})
//
// What it promises:
//
//   - A verdict is one of passed, failed, not applicable, unknown and
//     unfixable, always with a reason. Nothing passes that rests on a member
//     that could not be read, or that is stored and not in effect; see
//     [Resource.Pass].
//   - The same resources give the same report, in the same order, however
//     they arrive and however many cores judge them.
//   - A control that breaks on a document gives unknown for that document and
//     disturbs no other.
package posture
