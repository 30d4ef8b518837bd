package scopes

import (
	"errors"
	"fmt"
	"slices"
)

// Values of typ in the header of a JWT access token. TypJWT is a deviation from RFC 9068 §2.1, for
// verifiers that know no other.
const (
	TypAccess = "at+jwt"
	TypJWT    = "JWT"
)

// CheckJWTTyp says whether text can be the typ of JWT access tokens; "" leaves it to others.
func CheckJWTTyp(text string) error {
	if text != "" && text != TypAccess && text != TypJWT {
		return errors.New(`must be "at+jwt" or "JWT"`)
	}
	return nil
}

// checkTyp refuses a typ without a resource, and scopes of one resource that contradict each other.
func (c *Catalogue) checkTyp(name string, s Scope, first firstOf) error {
	err := CheckJWTTyp(s.JWTTyp)
	switch {
	case err != nil || s.JWTTyp == "":
		return err
	case s.Resource == "":
		return errors.New("needs a resource: it is said of the tokens for one API")
	}
	other, there := first.typ[normal(s.Resource)]
	if !there {
		first.typ[normal(s.Resource)] = name
		return nil
	}
	if c.scopes[other].JWTTyp != s.JWTTyp {
		return fmt.Errorf("contradicts the scope %q, which has the same resource", other)
	}
	return nil
}

// WantsTypJWT says whether every resource of an audience wants JWTs with TypJWT. A token that is
// for another API too keeps TypAccess.
func (c *Catalogue) WantsTypJWT(audience []string) bool {
	if c == nil || len(c.plain) == 0 || len(audience) == 0 {
		return false
	}
	return !slices.ContainsFunc(audience, func(a string) bool { return !Names(c.plain, a) })
}
