package tokens

// PrefixOf returns which prefix a text has; "": none of ours. intact says that length and checksum
// are those of such a text: it was neither cut nor mistyped. It does not say who made it.
func PrefixOf(text string) (prefix string, intact bool) {
	if len(text) < prefixLen {
		return "", false
	}
	switch prefix = text[:prefixLen]; prefix {
	case PrefixAccess, PrefixRefresh, PrefixAPIKey:
		return prefix, WellFormed(text)
	case PrefixSecret, PrefixRegistration:
		return prefix, len(text) == prefixLen+encodedLen(randomSize)+checkDigits && checksumHolds(text)
	}
	return "", false
}
