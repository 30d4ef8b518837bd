package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// jsonBody reads a body of JSON, bounded, of the one media type.
func jsonBody(x *exchange) error {
	r := x.gin.Request
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return refusal(codeInvalidRequest,
			"the body must be application/json, said by the Content-Type header")
	}
	body, err := readBody(x)
	x.body = []byte(body)
	return err
}

// decode reads the body into a value whose members all exist.
func (x *exchange) decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(x.body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("there is more behind the JSON value")
	}
	if err == nil && bytes.TrimLeft(x.body, " \t\r\n")[0] != '{' { // null fits everything
		err = errors.New("it must be an object")
	}
	if err == nil && jsonobject.NullInList(x.body) {
		err = errors.New("a list has null for an element")
	}
	if err != nil {
		return refusal(codeInvalidRequest,
			"the JSON cannot be used: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// Sizes of pages.
const (
	defaultPage = 100
	largestPage = 1000
)

// page reads limit and cursor of a list's query.
func (x *exchange) page() (cursor string, size int, err error) {
	size = defaultPage
	if text := x.gin.Query("limit"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 1 || size > largestPage {
			return "", 0, refusal(codeInvalidRequest, "limit must be a number from 1 to %d", largestPage)
		}
	}
	if cursor = x.gin.Query("cursor"); cursor != "" {
		_, at, _ := strings.Cut(cursor, ".")
		if _, err := strconv.ParseUint(at, 10, 64); err != nil { // Redis would answer with an error
			return "", 0, refusal(codeInvalidRequest, "cursor must be the next_cursor of an earlier answer")
		}
	}
	return cursor, size, nil
}
