//! What the guides show is what runs.

#[test]
fn the_guide_shows_the_settings_of_nginx_that_stand_beside_the_example() {
    let guide = include_str!("../guide/deployment.md");
    let settings = include_str!("../examples/behind_nginx.conf");
    assert!(guide.contains(&format!("```nginx\n{settings}```\n")), "docs/deployment.md differs");
}
