package redistest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Permissions are what a package documentation says that an ACL user needs.
type Permissions struct {
	For      string   // the left column: what it is needed for
	Commands []string // as ACL rules: "+cluster|slots", or "&channel"
}

// ReadPermissions reads the table that follows the text in a file with package
// documentation: lines "//\tfor what  COMMAND, SUB COMMAND, &channel".
func ReadPermissions(t testing.TB, file, text string) (table []Permissions) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(data), text)
	if !found {
		t.Fatalf("%s does not say %q", file, text)
	}
	begun := false
	for line := range strings.Lines(after) {
		row, isRow := strings.CutPrefix(line, "//\t")
		switch {
		case !isRow && begun:
			return table
		case !isRow:
			continue
		}
		begun = true
		name, commands, _ := strings.Cut(row, "  ")
		p := Permissions{For: name}
		for command := range strings.SplitSeq(strings.TrimSpace(commands), ", ") {
			if !strings.HasPrefix(command, "&") {
				command = "+" + strings.ToLower(strings.ReplaceAll(command, " ", "|"))
			}
			p.Commands = append(p.Commands, command)
		}
		table = append(table, p)
	}
	return table
}

// SetUser makes the user have the password and the permissions, and no others.
func (s *Server) SetUser(t testing.TB, user, password string, rules ...string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", user, "reset", "on", ">" + password}
	for _, rule := range rules {
		args = append(args, rule)
	}
	s.Do(t, args...)
	s.Do(t, "ACL", "LOG", "RESET")
}

// Refused returns what the server has refused to the user since [Server.SetUser], as ACL
// rules that would allow it; a key as "~key".
func (s *Server) Refused(t testing.TB, user string) (rules []string) {
	t.Helper()
	entries, _ := s.Do(t, "ACL", "LOG").([]any)
	for _, entry := range entries {
		of := fields(entry)
		kind := map[string]string{"command": "+", "channel": "&", "key": "~"}[of["reason"]]
		if rule := kind + of["object"]; of["username"] == user && !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// String is for messages of tests.
func (p Permissions) String() string { return fmt.Sprint(p.For, ": ", p.Commands) }
