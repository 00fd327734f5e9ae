// Package hosting runs the Redis that your services need while you develop them.
package hosting
