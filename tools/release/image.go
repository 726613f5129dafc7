package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// manifestName is the file of an archive of docker save that names the others.
const manifestName = "manifest.json"

// manifest is of one image in an archive of docker save.
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// normalize reads what docker save wrote of one image, and writes the image as if it had been built
// at a time: the engine puts into it when it was built, and by which container.
func normalize(in io.Reader, out io.Writer, at time.Time) error {
	files, err := readArchive(in)
	if err != nil {
		return fmt.Errorf("what docker save wrote: %w", err)
	}
	var images []manifest
	if err := json.Unmarshal(files[manifestName], &images); err != nil {
		return fmt.Errorf("%s of what docker save wrote: %w", manifestName, err)
	}
	if len(images) != 1 {
		return fmt.Errorf("docker save wrote %d images, and it should be one", len(images))
	}
	image, w := images[0], tar.NewWriter(out)
	var digests []string
	for i, name := range image.Layers {
		layer, err := normalizeLayer(files[name], at)
		if err != nil {
			return fmt.Errorf("layer %s: %w", name, err)
		}
		digest := fmt.Sprintf("%x", sha256.Sum256(layer))
		digests = append(digests, "sha256:"+digest)
		image.Layers[i] = digest + ".tar"
		if err := writeFile(w, image.Layers[i], layer, at); err != nil {
			return err
		}
	}
	config, err := normalizeConfig(files[image.Config], digests, at)
	if err != nil {
		return fmt.Errorf("configuration %s: %w", image.Config, err)
	}
	image.Config = fmt.Sprintf("%x.json", sha256.Sum256(config))
	list, err := json.Marshal([]manifest{image})
	if err != nil {
		return err
	}
	return errors.Join(writeFile(w, image.Config, config, at), writeFile(w, manifestName, list, at), w.Close())
}

// readArchive returns the files of an archive by name.
func readArchive(in io.Reader) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}

func writeFile(w *tar.Writer, name string, content []byte, at time.Time) error {
	header := &tar.Header{
		Name: name, Size: int64(len(content)), Mode: 0o644, ModTime: at, Format: tar.FormatUSTAR,
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// normalizeLayer gives every file of a layer the same time. Names, owners, modes and contents stay.
func normalizeLayer(layer []byte, at time.Time) ([]byte, error) {
	if bytes.HasPrefix(layer, []byte{0x1f, 0x8b}) { // an engine that stores layers compressed
		z, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			return nil, err
		}
		if layer, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(bytes.NewReader(layer)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			err = w.Close()
			return out.Bytes(), err
		}
		if err != nil {
			return nil, err
		}
		clean := &tar.Header{
			Typeflag: header.Typeflag, Name: header.Name, Linkname: header.Linkname, Size: header.Size,
			Mode: header.Mode, Uid: header.Uid, Gid: header.Gid, ModTime: at,
		}
		if err := w.WriteHeader(clean); err != nil {
			return nil, err
		}
		if _, err := io.Copy(w, r); err != nil {
			return nil, err
		}
	}
}

// normalizeConfig takes out of an image's configuration what differs from build to build, and names
// the layers as they are now.
func normalizeConfig(text []byte, layers []string, at time.Time) ([]byte, error) {
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	created := at.Format(time.RFC3339)
	all["created"] = created
	all["rootfs"] = map[string]any{"type": "layers", "diff_ids": layers}
	for _, key := range []string{"container", "container_config", "docker_version"} {
		delete(all, key)
	}
	if config, ok := all["config"].(map[string]any); ok {
		delete(config, "Image") // the step before, by its digest
		delete(config, "Hostname")
	}
	history, _ := all["history"].([]any)
	for _, step := range history {
		if step, ok := step.(map[string]any); ok {
			step["created"] = created
		}
	}
	return json.Marshal(all)
}
