package tokens_test

import "github.com/grantor-auth/grantor/tokens"

// started is the error of StartSession where no maximum is set.
func started(_ []tokens.SessionID, err error) error { return err }
