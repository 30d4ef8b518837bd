package server

func unread() {}
