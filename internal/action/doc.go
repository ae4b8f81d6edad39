// Package action holds the tests of the GitHub Action and the workflows: the
// steps' scripts run as a runner runs them, and the files are linted.
package action
