// Package examples has the tests of what authors of plugins are given: the examples, the projects that vipward plugin new makes,
// and the tutorial. It is not for plugins of our own, which have their tests beside them.
package examples
