package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tokenVariable is the environment variable that may hold the admin token.
const tokenVariable = "EDGE_TOKEN"

// shortToken is the length under which a token gets a warning.
const shortToken = 16

// tokenConfigured says whether the operator gave a token.
func (s *settings) tokenConfigured() bool {
	return s.admin.tokenFile != "" || os.Getenv(tokenVariable) != ""
}

// configuredToken gives the token of --token-file, else of EDGE_TOKEN, else of
// admin.token_file; "" when none is configured.
func configuredToken(flag, setting string) (string, error) {
	if flag != "" {
		return readToken(flag)
	}
	if token := os.Getenv(tokenVariable); token != "" {
		return token, checkToken(token, tokenVariable)
	}
	if setting != "" {
		return readToken(setting)
	}
	return "", nil
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read admin token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	return token, checkToken(token, path)
}

// checkToken refuses what no Authorization field could carry. The token
// itself is never part of a message.
func checkToken(token, where string) error {
	if token == "" {
		return fmt.Errorf("admin token in %s is empty", where)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return fmt.Errorf("admin token in %s has blanks or characters beyond ASCII", where)
		}
	}
	return nil
}

// madeToken gives the token that edge made for an admin port, and makes it if
// it is not there. The file is only for its owner's eyes.
func madeToken(state, port string) (token, path string, err error) {
	path = tokenPath(state, port)
	if token, ok := keptToken(path); ok {
		return token, path, nil
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return "", path, fmt.Errorf("make a place for the admin token: %w", err)
	}
	var random [32]byte
	rand.Read(random[:])
	token = hex.EncodeToString(random[:])
	if err := writePrivate(path, token+"\n"); err != nil {
		return "", path, fmt.Errorf("write admin token: %w", err)
	}
	return token, path, nil
}

func tokenPath(state, port string) string { return filepath.Join(state, "token-"+port) }

// keptToken reads the token of an earlier start, unless others could have read
// or written it.
func keptToken(path string) (token string, ok bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return "", false
	}
	token, err = readToken(path)
	return token, err == nil && len(token) >= shortToken
}

// writePrivate puts a file in place as a whole, readable by its owner only.
func writePrivate(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// findToken gives the token for a client's verb: the configured one, or the
// one that an edge on this machine made for its admin port.
func findToken(flag, setting, port string) (string, error) {
	token, err := configuredToken(flag, setting)
	if token != "" || err != nil {
		return token, err
	}
	path := tokenPath(stateDir(), port)
	token, err = readToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no admin token: give --token-file or %s; %s is not there, so no edge of this user "+
			"made one for that port", tokenVariable, path)
	}
	return token, err
}
