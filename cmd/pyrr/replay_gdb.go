package main

import (
	"errors"

	"pyrr/internal/recording"
)

func replayGDB(u *ui, rec *recording.Recording, path, addr, at string, process int, commands []string, file string) error {
	return errors.New("not yet")
}
