package hosting

import (
	"fmt"
	"regexp"
	"strings"
)

// image is the image of a container.
type image struct {
	name, tag string // the tag may be a digest, @sha256:...
	chosen    bool   // not the default
}

var defaultImage = image{name: redisImage, tag: redisTag}

func (i *image) setName(name string) {
	i.name, i.tag, i.chosen = name, "latest", true
	if before, digest, found := strings.Cut(name, "@"); found {
		i.name, i.tag = before, "@"+digest
		return
	}
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		i.name, i.tag = name[:colon], name[colon+1:]
	}
}

func (i *image) setTag(tag string) { i.tag, i.chosen = tag, true }

func (i image) String() string {
	if strings.HasPrefix(i.tag, "@") {
		return i.name + i.tag
	}
	return i.name + ":" + i.tag
}

var (
	validImage = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._:/-]*$`)
	validTag   = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@[a-z0-9]+:[a-f0-9]{32,})$`)
)

func (i image) check() (errs []error) {
	if !validImage.MatchString(i.name) {
		errs = append(errs, fmt.Errorf("WithImage takes the name of an image such as docker.io/library/redis, got %q", i.name))
	}
	if !validTag.MatchString(i.tag) {
		errs = append(errs, fmt.Errorf("WithTag takes a tag such as 8.6, got %q", i.tag))
	}
	return errs
}

// warn says that the image is not used.
func (i image) warn(a *App, resource string) {
	if kind := a.engine.kind(); i.chosen && kind != ContainerRuntime {
		a.log.Info("hosting: the image is not used: the runtime has none", "resource", resource, "runtime", string(kind), "image", i.String())
	}
}
