package hosting

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

// haveImage pulls an image when the engine does not have it.
func (c *containers) haveImage(ctx context.Context, image string, progress func(string)) error {
	_, err := c.api.ImageInspect(ctx, image)
	if !errdefs.IsNotFound(err) {
		return err
	}
	if err := c.pull(ctx, image, progress); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("pulling %s: %w", image, context.Cause(ctx))
		}
		return fmt.Errorf("pulling the image %s: %w; choose another with WithImage or WithTag, or see what \"docker pull %s\" says",
			image, err, image)
	}
	return nil
}

func (c *containers) pull(ctx context.Context, image string, progress func(string)) error {
	text := "pulling " + strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
	progress(text)
	stream, err := c.api.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	var sum pullProgress
	for message, err := range stream.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil {
			return message.Error
		}
		if percent, more := sum.add(message); more {
			progress(fmt.Sprintf("%s %d%%", text, percent))
		}
	}
	return nil
}

// pullProgress adds up what the engine says about an image's layers.
type pullProgress struct {
	layers  map[string]jsonstream.Progress // by id; those that are being downloaded, or were
	percent int64
}

// add tells how much there is, and whether that is more than before in whole percents:
// the engine speaks much more often.
func (p *pullProgress) add(message jsonstream.Message) (percent int64, more bool) {
	layer, known := p.layers[message.ID]
	switch {
	case message.Status == "Downloading" && message.Progress != nil && message.Progress.Total > 0:
		layer = *message.Progress
	case known: // verifying, unpacking, complete
		layer.Current = layer.Total
	default:
		return 0, false
	}
	if p.layers == nil {
		p.layers = map[string]jsonstream.Progress{}
	}
	p.layers[message.ID] = layer

	var current, total int64
	for _, layer := range p.layers {
		current += layer.Current
		total += layer.Total
	}
	// It does not go back when a layer is heard of that was not known before.
	if percent = current * 100 / total; percent <= p.percent {
		return 0, false
	}
	p.percent = percent
	return percent, true
}
