package clientcert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// readXFCC reads X-Forwarded-Client-Cert of Envoy: an element for each proxy on the way, pairs of
// key and value in each. One element alone is believed: where there are more, the first ones are
// what others sent, and nobody here can tell whom to believe.
func readXFCC(value string, _ http.Header) ([][]byte, error) {
	pairs, err := xfccPairs(value)
	if err != nil {
		return nil, err
	}
	list, err := fromXFCC(pairs["chain"])
	if err != nil {
		return nil, err
	}
	leaf, err := fromXFCC(pairs["cert"])
	switch {
	case err != nil:
		return nil, err
	case len(leaf) > 1:
		return nil, unusable("its Cert holds %d certificates", len(leaf))
	case len(leaf) == 0 && len(list) == 0:
		return nil, unusable("it has no Cert: set set_current_client_cert_details { cert: true } in Envoy")
	case len(leaf) == 0:
		leaf, list = list[:1], list[1:]
	case len(list) > 0 && !bytes.Equal(list[0], leaf[0]):
		return nil, unusable("its Chain begins with another certificate than its Cert")
	case len(list) > 0:
		list = list[1:]
	}
	if sum := sha256.Sum256(leaf[0]); pairs["hash"] != "" && pairs["hash"] != hex.EncodeToString(sum[:]) {
		return nil, unusable("its Hash is that of another certificate")
	}
	return append(leaf, list...), nil
}

func fromXFCC(text string) ([][]byte, error) {
	if text == "" {
		return nil, nil
	}
	return readPEM(text, nil)
}

// xfccPairs takes the one element apart. Keys are lower case; of those that are read here, each
// occurs once.
func xfccPairs(rest string) (map[string]string, error) {
	pairs := map[string]string{}
	for {
		key, after, ok := strings.Cut(rest, "=")
		if !ok || key == "" || strings.ContainsAny(key, "\", ;\t") {
			return nil, unusable("it is not of the form Key=value;Key=value")
		}
		value, after, ok := xfccValue(after)
		if !ok {
			return nil, unusable("a quoted value in it has no end")
		}
		key = strings.ToLower(key)
		if _, twice := pairs[key]; twice && (key == "cert" || key == "chain" || key == "hash") {
			return nil, unusable("%s occurs twice in it", key)
		}
		pairs[key] = value
		switch {
		case after == "":
			return pairs, nil
		case after[0] == ',':
			return nil, unusable("it has more than one element: let Envoy replace it (forward_client_cert_details: SANITIZE_SET)")
		case after[0] != ';':
			return nil, unusable("something follows a quoted value in it")
		}
		rest = after[1:]
	}
}

// xfccValue reads a value, quoted or not, and returns what follows it.
func xfccValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, `,;"`)
		if end < 0 {
			return text, "", true
		}
		return text[:end], text[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}
