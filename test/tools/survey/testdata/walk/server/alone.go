package server

func alone() {}

func nobodyCalls() { unread() }
