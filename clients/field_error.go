package clients

// FieldError is a mistake in one field of a registration, by its RFC 7591 name.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

type badFunc func(field, format string, args ...any)
