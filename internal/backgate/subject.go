package backgate

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"
)

// attributeNames are the keywords that Java's X500Principal.toString uses.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.4": "SURNAME", "2.5.4.42": "GIVENNAME",
	"2.5.4.43": "INITIALS", "2.5.4.44": "GENERATION", "2.5.4.46": "DNQ", "2.5.4.5": "SERIALNUMBER",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "EMAILADDRESS",
}

// maxName is where the text of a subject is cut, in bytes.
const maxName = 1024

// distinguishedName writes a subject as Java's X500Principal.toString does:
// the last element first, parted by ", ", values in quotes where needed.
func distinguishedName(raw []byte) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &rdns); err != nil || len(rest) > 0 {
		return ""
	}
	var b strings.Builder
	for i := len(rdns) - 1; i >= 0 && b.Len() < maxName; i-- {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		for j, a := range rdns[i] {
			if j > 0 {
				b.WriteString(" + ")
			}
			oid := a.Type.String()
			name, ok := attributeNames[oid]
			if !ok {
				name = "OID." + oid
			}
			b.WriteString(name + "=" + attributeValue(a.Value))
		}
	}
	s := b.String()
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

func attributeValue(v any) string {
	s, ok := v.(string)
	if !ok {
		der, err := asn1.Marshal(v)
		if err != nil {
			return ""
		}
		return "#" + hex.EncodeToString(der)
	}
	if s == "" || s != strings.TrimSpace(s) || strings.ContainsAny(s, ",+=\n<>#;\\\"") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return s
}
