package cache

import "strings"

// infoField returns a field of what INFO or CLUSTER INFO tells, "" when it is not there.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if field, value, _ := strings.Cut(strings.TrimSpace(line), ":"); field == name {
			return value
		}
	}
	return ""
}
