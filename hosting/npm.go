package hosting

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const commanderPackage = "redis-commander"

// npmMissing answers nil when there is what it takes to run Redis Commander without
// containers, or an error that says what to install.
func npmMissing() error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("no %s on PATH: install Node.js (apt-get install nodejs npm, dnf install nodejs, brew install node)", program)
		}
	}
	return nil
}

// supportsNPM is supportsUI of the runtimes without containers.
func supportsNPM(kind RuntimeKind, u *uiServer) error {
	if u.kind == insight {
		return unsupported(kind, "Redis Insight", "it exists as an image only; use Redis Commander, or the runtime \"container\"")
	}
	if err := npmMissing(); err != nil {
		return unsupported(kind, "Redis Commander", err.Error())
	}
	return nil
}

// commanderFromNPM starts Redis Commander as it comes from npm, where it is installed
// the first time.
func commanderFromNPM(ctx context.Context, r *run, u *uiServer, progress func(string)) (instance, error) {
	installed, err := installCommander(ctx, r, progress)
	if err != nil {
		return nil, err
	}
	// What is on PATH may be a script of a version manager that needs more of the
	// environment than the program.
	node, err := exec.CommandContext(ctx, "node", "-p", "process.execPath").Output()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return onPort(u.port, func(port int) (instance, error) {
		return startCommander(ctx, r, u, strings.TrimSpace(string(node)), installed, port)
	})
}

func startCommander(ctx context.Context, r *run, u *uiServer, node, installed string, port int) (instance, error) {
	folder := filepath.Join(r.dir, u.name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	c := command{
		name: u.name,
		path: node,
		args: []string{
			commanderProgram(installed),
			"--address", loopback, // not on all of them
			"--port", strconv.Itoa(port),
			"--nosave", // connections that are added by hand, to its folder
		},
		dir:     folder,
		env:     commanderEnv(u, folder),
		addr:    localAddress(port),
		scratch: folder,
	}
	for _, t := range u.targets {
		if t.password != "" {
			c.secrets = append(c.secrets, t.password)
		}
	}
	p, err := startProcess(r.dir, c)
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	ctx, cancel := r.patient(ctx)
	defer cancel()
	// It says so when it listens, which nothing else on its port would in its log.
	err = until(ctx, p, func(context.Context) bool {
		log, _ := os.ReadFile(logFileOf(r.dir, u.name))
		return strings.Contains(string(log), "listening on "+c.addr+"\n")
	})
	if err != nil {
		if strings.Contains(err.Error(), "EADDRINUSE") {
			err = portTaken(port)
		}
		undo(ctx, func(ctx context.Context) { _ = p.stop(ctx) })
		return nil, err
	}
	return p, nil
}

func commanderProgram(installed string) string {
	return filepath.Join(installed, "node_modules", commanderPackage, "bin", "redis-commander.js")
}

// commanderEnv is the environment of Redis Commander. Dozens of variables change what it
// does, and so do files in the user's home: it gets those that programs need to run at
// all, and another home.
func commanderEnv(u *uiServer, home string) []string {
	env := []string{
		"HOME=" + home,
		"USERPROFILE=" + home,
		"NODE_ENV=production",
		"NO_LOG_DATA=true", // of Redis
		u.commanderConfig(),
	}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// installCommander returns the folder where Redis Commander is, which all apps share.
func installCommander(ctx context.Context, r *run, progress func(string)) (string, error) {
	versioned := commanderPackage + "@" + commanderTag
	parent := r.shared("npm")
	folder := filepath.Join(parent, commanderPackage+"-"+commanderTag)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	// Two apps that start at the same time: one installs it, the other waits.
	unlock, err := lockFile(ctx, folder+".lock")
	if err != nil {
		return "", fmt.Errorf("waiting for another installation of %s: %w", versioned, err)
	}
	defer unlock()
	if _, err := os.Stat(commanderProgram(folder)); err == nil {
		return folder, nil
	}

	progress("installing redis-commander from npm")
	// An installation that was interrupted must not be taken for one.
	unfinished := folder + ".new"
	if err := errors.Join(os.RemoveAll(unfinished), os.RemoveAll(folder), os.Mkdir(unfinished, 0o700)); err != nil {
		return "", err
	}
	if err := npmInstall(ctx, r, unfinished, versioned); err != nil {
		return "", fmt.Errorf("installing %s from npm: %w", versioned, errors.Join(err, os.RemoveAll(unfinished)))
	}
	return folder, os.Rename(unfinished, folder)
}

// npmInstall installs a package into a folder, without what it could do without, and
// without running anything of it.
func npmInstall(ctx context.Context, r *run, folder, versioned string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return err
	}
	return runToEnd(ctx, r, command{
		name: "npm.install",
		path: npm,
		args: []string{
			"install", "--prefix", folder, "--global=false", "--no-audit", "--no-fund", "--fetch-retries=1", "--no-update-notifier",
			"--ignore-scripts", "--omit=optional", versioned,
		},
		dir: folder,
		env: environment(), // where the user's registry and proxies are
	})
}
