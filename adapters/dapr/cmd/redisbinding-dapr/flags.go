package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/redisbinding/redisbinding/adapters/dapr"
)

const (
	folderVariable = "DAPR_COMPONENTS_SOCKETS_FOLDER" // as daprd reads it
	defaultFolder  = "/tmp/dapr-components-sockets"   // and what it watches without it
	extension      = ".sock"
)

// config is what the flags say.
type config struct {
	folder         string
	name           string
	mode           fs.FileMode
	maxMessageSize int
	stopTimeout    time.Duration
	logLevel       slog.Level
}

func (c *config) socket() string { return filepath.Join(c.folder, c.name+extension) }

// parseFlags reads the flags. It prints the usage to usage when it is asked for, and else
// returns an error of one line.
func parseFlags(args []string, getenv func(string) string, usage io.Writer) (*config, error) {
	c := &config{mode: dapr.DefaultSocketMode}
	flags := flag.NewFlagSet("redisbinding-dapr", flag.ContinueOnError)
	flags.SetOutput(io.Discard)

	folder := getenv(folderVariable)
	if folder == "" {
		folder = defaultFolder
	}
	flags.StringVar(&c.folder, "socket-folder", folder, "`folder` that daprd watches; "+folderVariable+" sets the default")
	flags.StringVar(&c.name, "name", "redisbinding", "`name` of the socket file and so of the component type, bindings.<name>")
	flags.Func("mode", fmt.Sprintf("permissions of the socket, `octal`, 0600 included (default %#o)", uint32(dapr.DefaultSocketMode)),
		func(text string) (err error) {
			c.mode, err = parseMode(text)
			return err
		})
	flags.IntVar(&c.maxMessageSize, "max-message-size", dapr.DefaultMaxMessageSize, "how large a value a request may bring, in `bytes`")
	flags.DurationVar(&c.stopTimeout, "stop-timeout", dapr.DefaultStopTimeout, "how long a stop waits for calls under way; 0: not at all")
	flags.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "`level` from which on to log: debug, info, warn or error")

	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(usage)
			flags.Usage()
			return nil, err
		}
		return nil, fmt.Errorf("redisbinding: %w (-h lists the flags)", err)
	}
	if err := c.check(flags.Args()); err != nil {
		return nil, fmt.Errorf("redisbinding: %w (-h lists the flags)", err)
	}
	return c, nil
}

// aName is what names a file and can be part of a component type.
var aName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// check says what is wrong with the flags, or with what follows them.
func (c *config) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("there are flags only, got %q", rest[0])
	case c.folder == "":
		return errors.New("-socket-folder must not be empty")
	case !aName.MatchString(c.name):
		return fmt.Errorf("-name must be of letters, digits, '.', '_' and '-', and begin with a letter or a digit, got %q", c.name)
	case c.maxMessageSize < 1 || c.maxMessageSize > math.MaxInt32/2:
		return fmt.Errorf("-max-message-size must be between 1 and %d, got %d", math.MaxInt32/2, c.maxMessageSize)
	case c.stopTimeout < 0:
		return fmt.Errorf("-stop-timeout must not be negative, got %s", c.stopTimeout)
	}
	return nil
}

func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode > 0o777 || mode&0o600 != 0o600 {
		return 0, errors.New("must be octal, between 0600 and 0777, and include 0600")
	}
	return fs.FileMode(mode), nil
}
