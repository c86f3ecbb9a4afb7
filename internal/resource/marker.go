package resource

// Markers are keys that commits guard so that a check which rests on a list
// holds when the commit does: who adds a reference to a document and who
// deletes the document both claim the document's marker. Their values say
// nothing. Nothing but the control plane reads them.
const PrefixMarkers = "markers/"

// RestAPIMarker speaks for what an API holds and who refers to it: its
// resources, deployments and stages, and the base path mappings to it.
func RestAPIMarker(api string) string { return PrefixMarkers + "restapis/" + api }

// CertificateMarker speaks for the domain names and stages that use a certificate.
func CertificateMarker(id string) string { return PrefixMarkers + "certificates/" + id }

// ClientCertificateMarker speaks for the stages that name a generated client
// certificate, as theirs or as the one before.
func ClientCertificateMarker(id string) string { return PrefixMarkers + "clientcertificates/" + id }

// ClientCertificatesMarker speaks for how many generated ones there are.
const ClientCertificatesMarker = PrefixMarkers + "clientcertificates"

// SearchDomainsMarker speaks for how many search domains there are and which
// custom endpoints they have.
const SearchDomainsMarker = PrefixMarkers + "searchdomains"
