package server

import "errors"

func refuse() error { return errors.New("refused") }
