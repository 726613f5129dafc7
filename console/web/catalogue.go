package web

import (
	"encoding/json"
	"fmt"
	"strings"
)

// catalogue are the texts of a language, by key.
type catalogue map[string]string

func readCatalogue(lang string) (c catalogue, err error) {
	text, err := files.ReadFile("lang/" + lang + ".json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("lang/%s.json: %w", lang, err)
	}
	return c, nil
}

// script are the texts that scripts need.
func (c catalogue) script() map[string]string {
	part := make(map[string]string)
	for key, text := range c {
		if name, ok := strings.CutPrefix(key, "js."); ok {
			part[name] = text
		}
	}
	return part
}
