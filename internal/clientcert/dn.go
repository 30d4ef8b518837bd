package clientcert

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// attribute is one type and value of a distinguished name. crypto/x509/pkix flattens names of more
// than one attribute, so names are read here.
type attribute struct {
	oid  string // dotted
	text string // where raw is nil
	raw  []byte // DER of a value that is no text
}

// rdn is a relative distinguished name: a set of attributes. A name is a list of them, that of the
// root first, as in a certificate.
type rdn []attribute

// attributeType returns the object identifier of a type: of the names of RFC 4514 §3, those that
// OpenSSL and Java write, and of dotted text; "": it is not known.
func attributeType(name string) string {
	switch strings.ToLower(name) {
	case "cn":
		return "2.5.4.3"
	case "sn", "surname":
		return "2.5.4.4"
	case "serialnumber":
		return "2.5.4.5"
	case "c":
		return "2.5.4.6"
	case "l":
		return "2.5.4.7"
	case "st", "s":
		return "2.5.4.8"
	case "street":
		return "2.5.4.9"
	case "o":
		return "2.5.4.10"
	case "ou":
		return "2.5.4.11"
	case "title", "t":
		return "2.5.4.12"
	case "postalcode":
		return "2.5.4.17"
	case "gn", "givenname":
		return "2.5.4.42"
	case "dnqualifier", "dnq":
		return "2.5.4.46"
	case "organizationidentifier":
		return "2.5.4.97"
	case "uid":
		return "0.9.2342.19200300.100.1.1"
	case "dc":
		return "0.9.2342.19200300.100.1.25"
	case "emailaddress", "e", "email":
		return "1.2.840.113549.1.9.1"
	}
	name = strings.TrimPrefix(strings.ToLower(name), "oid.")
	for part := range strings.SplitSeq(name, ".") {
		if _, err := strconv.ParseUint(part, 10, 31); err != nil || len(part) > 1 && part[0] == '0' {
			return ""
		}
	}
	return name
}

// parseDN reads the string form of a distinguished name (RFC 4514 §3). Blanks around separators are
// allowed (RFC 4514 §4, RFC 1779).
func parseDN(text string) (list []rdn, err error) {
	if len(text) > maxDER || !utf8.ValidString(text) {
		return nil, errors.New("must be a distinguished name of valid UTF-8")
	}
	var one rdn
	for rest := text; ; {
		a, after, err := parseAttribute(rest)
		if err != nil {
			return nil, err
		}
		one = append(one, a)
		if after == "" || after[0] == ',' {
			list, one = append(list, one), nil
		}
		if after == "" {
			slices.Reverse(list) // RFC 4514 §2.1: the string begins with the last
			return list, nil
		}
		rest = after[1:]
	}
}

var errDN = errors.New(`must be a distinguished name in the form of RFC 4514, such as "CN=billing,O=Example,C=DE": openssl x509 -in cert.pem -noout -subject -nameopt RFC2253 prints it`)

func parseAttribute(text string) (a attribute, rest string, err error) {
	name, after, ok := strings.Cut(text, "=")
	name, after = strings.Trim(name, " "), strings.TrimLeft(after, " ")
	if !ok || name == "" {
		return a, "", errDN
	}
	if a.oid = attributeType(name); a.oid == "" {
		return a, "", fmt.Errorf("the attribute type %q is not known: write its object identifier, such as 2.5.4.3", name)
	}
	if strings.HasPrefix(after, "#") {
		end := strings.IndexAny(after, ",+")
		if end < 0 {
			end = len(after)
		}
		der, err := hex.DecodeString(strings.Trim(after[1:end], " "))
		var value asn1.RawValue
		if err != nil || !wholeValue(der, &value) {
			return a, "", errDN
		}
		a.text, a.raw = valueOf(value)
		return a, after[end:], nil
	}
	a.text, rest, err = parseValue(after)
	return a, rest, err
}

// parseValue reads a string to its end, a comma or a plus (RFC 4514 §2.4, §3).
func parseValue(text string) (value, rest string, err error) {
	var b strings.Builder
	keep := 0 // blanks before this length were escaped
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ',', '+':
			return endOfValue(b.String(), keep, text[i:])
		case '"', ';', '<', '>', 0:
			return "", "", errDN
		case '\\':
			plain, n := unescape(text[i+1:])
			if n == 0 {
				return "", "", errDN
			}
			b.WriteByte(plain)
			i, keep = i+n, b.Len()
		default:
			b.WriteByte(c)
		}
	}
	return endOfValue(b.String(), keep, "")
}

// endOfValue cuts the blanks behind a value, but for the first keep bytes.
func endOfValue(text string, keep int, after string) (value, rest string, err error) {
	if !utf8.ValidString(text) {
		return "", "", errDN
	}
	return text[:keep] + strings.TrimRight(text[keep:], " "), after, nil
}

// unescape reads what follows a backslash: one special character, or two hexadecimal digits.
func unescape(text string) (plain byte, n int) {
	if text != "" && strings.IndexByte(`"+,;<>\ #=`, text[0]) >= 0 {
		return text[0], 1
	}
	if len(text) < 2 {
		return 0, 0
	}
	octet, err := hex.DecodeString(text[:2])
	if err != nil {
		return 0, 0
	}
	return octet[0], 2
}

// encodedAttribute and encodedSET are how a certificate has a name (RFC 5280 §4.1.2.4).
type encodedAttribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type encodedSET []encodedAttribute

// namedSubject says whether a certificate's subject is the name that text writes. Values are equal
// when their characters are, whatever string type holds them.
func namedSubject(c *x509.Certificate, text string) bool {
	want, err := parseDN(text)
	if err != nil {
		return false
	}
	var subject []encodedSET
	if rest, err := asn1.Unmarshal(c.RawSubject, &subject); err != nil || len(rest) > 0 {
		return false
	}
	return slices.EqualFunc(want, subject, sameRDN)
}

// sameRDN compares two sets.
func sameRDN(want rdn, has encodedSET) bool {
	if len(want) != len(has) {
		return false
	}
	left := slices.Clone(want)
	for _, e := range has {
		text, raw := valueOf(e.Value)
		i := slices.IndexFunc(left, func(a attribute) bool {
			return a.oid == e.Type.String() && a.text == text && bytes.Equal(a.raw, raw) && (a.raw == nil) == (raw == nil)
		})
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// valueOf returns the text of a value, or the DER of one that is no text that can be compared.
func valueOf(v asn1.RawValue) (text string, raw []byte) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", v.FullBytes
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString:
		if utf8.Valid(v.Bytes) {
			return string(v.Bytes), nil
		}
	case asn1.TagBMPString:
		if len(v.Bytes)%2 == 0 {
			var units []uint16
			for i := 0; i < len(v.Bytes); i += 2 {
				units = append(units, uint16(v.Bytes[i])<<8|uint16(v.Bytes[i+1]))
			}
			if text := string(utf16.Decode(units)); !strings.ContainsRune(text, utf8.RuneError) {
				return text, nil
			}
		}
	case asn1.TagT61String:
		if isASCII(strings.ReplaceAll(string(v.Bytes), " ", "_")) {
			return string(v.Bytes), nil
		}
	}
	return "", v.FullBytes
}

// wholeValue reads one value in DER and nothing behind it.
func wholeValue(der []byte, into *asn1.RawValue) bool {
	rest, err := asn1.Unmarshal(der, into)
	return err == nil && len(rest) == 0
}
