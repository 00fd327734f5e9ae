package dockertest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// Registry serves one image for the engine to pull, as an image registry does, on the
// loopback interface. It returns the image's name. The image is that of [Engine.Redis]. between is called
// between the halves of its layer.
func Registry(t testing.TB, between func()) string {
	t.Helper()
	files, err := archive(redisFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	plain := sha256.New()
	// Without compression it is as large as what is in it.
	packed, err := gzip.NewWriterLevel(&layer, gzip.NoCompression)
	if err == nil {
		_, err = io.Copy(io.MultiWriter(packed, plain), files)
	}
	if err == nil {
		err = packed.Close()
	}
	if err != nil {
		t.Fatal(err)
	}

	blobs := map[string][]byte{}
	// blob keeps what is served by its digest, and describes it.
	blob := func(kind string, text []byte) map[string]any {
		sum := sha256.Sum256(text)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		blobs[digest] = text
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": len(text), "digest": digest}
	}
	config := blob("container.image.v1+json", document(t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/usr/local/bin:/bin"}, "WorkingDir": "/data", "Cmd": []string{"redis-server"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(plain.Sum(nil))}},
	}))
	layers := []any{blob("image.rootfs.diff.tar.gzip", layer.Bytes())}
	const manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	manifest := blob("distribution.manifest.v2+json", document(t, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers,
	}))

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if what == "8.6" {
			what = fmt.Sprint(manifest["digest"])
		}
		text, found := blobs[what]
		switch {
		case r.URL.Path == "/v2/":
			return
		case !found:
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Docker-Content-Digest", what)
		w.Header().Set("Content-Type", "application/octet-stream")
		if what == manifest["digest"] {
			w.Header().Set("Content-Type", manifestType)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		if r.Method == http.MethodHead {
			return
		}
		if len(text) == layer.Len() {
			_, _ = w.Write(text[:len(text)/2])
			between()
			text = text[len(text)/2:]
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/library/redis:8.6"
}

func document(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
