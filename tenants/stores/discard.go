package stores

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// Discard removes everything that stopped stores left behind for dir. Error: ErrInUse when they still run.
func Discard(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	held, err := lock(dir)
	if err != nil {
		return err
	}
	defer func() { _ = held.Close() }()
	var k kept
	raw, err := os.ReadFile(filepath.Join(dir, "stores.json"))
	if err == nil && json.Unmarshal(raw, &k) == nil && k.Data != "" {
		err = os.RemoveAll(k.Data)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(dir))
}
