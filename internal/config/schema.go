package config

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Schema is the JSON Schema (2020-12) of the configuration file, for editors.
func Schema() []byte {
	properties := map[string]any{}
	for _, k := range Keys {
		one := map[string]any{"type": "string"}
		if k.Pattern != "" {
			one["pattern"] = k.Pattern
		}
		if k.Bool {
			one = map[string]any{"type": "boolean"}
		}
		p := one
		if k.List {
			list := map[string]any{"type": "array", "items": one}
			if p = map[string]any{"oneOf": []any{one, list}}; k.Names != "" {
				list["minItems"] = 1
				p = map[string]any{"type": "object", "propertyNames": map[string]any{"pattern": k.Names}, "additionalProperties": p}
			}
		}
		p["description"] = k.Help
		switch {
		case k.Bool:
			p["default"] = k.Default[0] == "true"
		case k.List && k.Default != nil:
			p["default"] = k.Default
		case k.Default != nil:
			p["default"] = k.Default[0]
		}
		properties[k.Name] = p
	}
	out, err := json.MarshalIndent(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Sallyport configuration file",
		"type":                 "object",
		"additionalProperties": false,
		"properties":           properties,
	}, "", "  ")
	if err != nil {
		panic(err) // only maps, strings and booleans: cannot fail
	}
	return append(out, '\n')
}

// Reference is the Markdown page of all settings.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nMade from the table in `internal/config`; `go test ./internal/config -update` rewrites it.\n\n" +
		"A flag wins over the environment, the environment over the file (`--config FILE`, YAML), the file over the default. " +
		"The file's keys are the flags' names; unknown keys are refused with file and line. Relative paths start at the folder where the program is started. In the environment lists are separated by commas; where the flag takes `NAME=VALUE`, the file has a mapping of names to a value or a list of values; a `SALLYPORT_*` variable that is no setting is named in the log. Editors: `docs/config.schema.json`.\n\n" +
		"| flag and key | environment | default | applies on HUP | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range Keys {
		hup := "no"
		if k.Reloadable {
			hup = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s%s |\n", strings.TrimSpace(k.Name+" "+k.Value), k.Env(),
			strings.Join(quoted(k.Default), ", "), hup, k.Help, map[bool]string{true: "; may be repeated", false: ""}[k.List])
	}
	return b.String()
}

func quoted(values []string) []string {
	var out []string
	for _, v := range values {
		out = append(out, "`"+v+"`")
	}
	return out
}
